From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory.
Local Open Scope ring_scope.

(******************************************************************************)
(* Nested linear layers: what the weights W_r are, and what nests (LIN-1 to   *)
(* LIN-10; the containment scores are in containment.v).                      *)
(*                                                                            *)
(* The statements are about nested_linear_forward, multirank_linear_forward   *)
(* and the merged weights W_r. Definition 2 of arXiv:2509.17874v1 says that   *)
(* Im(W_r) is inside Im(W_(r+1)); def2_false refutes it as it stands, and     *)
(* im_Wpre_nested_iff says when it holds. Only field operations are used.     *)
(*                                                                            *)
(*       cexA, cexB == the smallest counterexample to Definition 2            *)
(******************************************************************************)

Section Weights.

Variables (F : fieldType) (d_in d_out R : nat).
Implicit Types (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)).

(* LIN-1. W_r is the sum of the outer products b_i a_i over i < r. *)
Theorem Wpre_sum B A r : Wpre B A r = \sum_(k < R | (k < r)%N) col k B *m row k A.
Proof.
apply/matrixP=> i j; rewrite Wpre_coef summxE; apply: eq_bigr => k _.
by rewrite mxE big_ord1 !mxE.
Qed.

Lemma Wpre_beyond B A r : (R <= r)%N -> Wpre B A r = B *m A.
Proof.
move=> Rr; rewrite Wpre_sum -(Wpre_full B A) Wpre_sum.
by apply: eq_bigl => i; rewrite ltn_ord (leq_trans (ltn_ord i)).
Qed.

(* LIN-2. W_(r+1) = W_r + b_(r+1) a_(r+1). *)
Theorem Wpre_succ B A r (h : (r < R)%N) :
  Wpre B A r.+1 = Wpre B A r + col (Ordinal h) B *m row (Ordinal h) A.
Proof.
rewrite !Wpre_sum (bigD1 (Ordinal h)) //= addrC; congr (_ + _).
apply: eq_bigl => k; rewrite ltnS -(inj_eq val_inj) /=.
by rewrite andbC -ltn_neqAle.
Qed.

(* LIN-2. W_s - W_r is the sum of b_i a_i over r <= i < s. *)
Theorem Wpre_telescope B A r s : (r <= s)%N ->
  Wpre B A s - Wpre B A r =
  \sum_(i < R | (r <= i < s)%N) col i B *m row i A.
Proof.
move=> rs; rewrite !Wpre_sum (bigID (fun i : 'I_R => (i < r)%N)) /=.
rewrite (eq_bigl (fun i : 'I_R => (i < r)%N)); last first.
  by move=> i; rewrite andb_idl // => ir; exact: leq_trans ir rs.
rewrite addrAC subrr add0r; apply: eq_bigl => i.
by rewrite -leqNgt andbC.
Qed.

(* LIN-2. Prefix consistency: y_(r+1) = y_r + b_(r+1) (a_(r+1) x), for every row x. *)
Theorem nested_linear_succ n (x : 'M[F]_(n, d_in)) A B b r (h : (r < R)%N) :
  nested_linear x A B b r.+1 =
  nested_linear x A B b r + x *m (row (Ordinal h) A)^T *m (col (Ordinal h) B)^T.
Proof.
rewrite !nested_linearE (Wpre_succ _ _ h) linearD /= mulmxDr (trmx_mul (col _ B)) mulmxA.
exact: addrAC.
Qed.

(* LIN-2. Several components at once: the step from one rank to the next in
   multirank_linear_forward. *)
Theorem nested_linear_telescope n (x : 'M[F]_(n, d_in)) A B b r s : (r <= s)%N ->
  nested_linear x A B b s =
  nested_linear x A B b r + \sum_(i < R | (r <= i < s)%N) x *m (row i A)^T *m (col i B)^T.
Proof.
move=> rs; have e : Wpre B A s = Wpre B A r + \sum_(i < R | (r <= i < s)%N) col i B *m row i A.
  by rewrite -Wpre_telescope // addrC subrK.
rewrite !nested_linearE e linearD /= linear_sum mulmxDr mulmx_sumr addrAC; congr (_ + _).
by apply: eq_bigr => i _; rewrite /= (trmx_mul (col i B)) mulmxA.
Qed.

(* LIN-3. rank(W_r) <= r. *)
Theorem rank_Wpre B A r : (\rank (Wpre B A r) <= r)%N.
Proof. exact: mulmx_max_rank. Qed.

End Weights.

Section RankOne.

Variables (F : fieldType) (m n : nat).
Implicit Types (W : 'M[F]_(m, n)) (b : 'cV[F]_m) (a : 'rV[F]_n).

Lemma mul_mx11 k (u : 'M[F]_(k, 1)) (s : 'M[F]_1) : u *m s = s 0 0 *: u.
Proof. by rewrite {1}[s]mx11_scalar mul_mx_scalar. Qed.

(* What is outside the row space of W is separated from it by a vector of the kernel. *)
Lemma kernel_separates W a : ~~ (a <= W)%MS -> exists2 z : 'cV_n, W *m z = 0 & a *m z = 1%:M.
Proof.
rewrite submxE => /matrix0Pn[i [j nz]]; rewrite ord1 in nz.
set c := (a *m cokermx W) 0 j in nz.
exists (c^-1 *: col j (cokermx W)); rewrite -scalemxAr colE mulmxA; first by rewrite mulmx_coker mul0mx scaler0.
by rewrite -colE [col _ _]mx11_scalar mxE -/c scale_scalar_mx mulVf.
Qed.

Lemma im_add_kernel W b a : ~~ (a <= W)%MS -> im_sub W (W + b *m a).
Proof.
case/kernel_separates=> z Wz az x; exists (x - z *m (a *m x)).
rewrite mulmxDl !mulmxBr (mulmxA W) Wz mul0mx subr0 -!(mulmxA b) (mulmxA a z) az mul1mx.
by rewrite subrr addr0.
Qed.

Lemma im_add_image W v a : 1 + (a *m v) 0 0 != 0 -> im_sub W (W + W *m v *m a).
Proof.
set u := 1 + _ => nz x; set s := (a *m x) 0 0; exists (x - (s / u) *: v).
have -> : (W + W *m v *m a) *m (x - (s / u) *: v) = W *m x + (s - (s / u) * u) *: (W *m v).
  rewrite mulmxDl -(mulmxA (W *m v)) mul_mx11 !mulmxBr -!scalemxAr.
  rewrite -addrA; congr (_ + _); rewrite -scaleNr -scalerDl; congr (_ *: _).
  by rewrite mxE -/s [(- _ : 'M_1) 0 0]mxE [(_ *: _ : 'M_1) 0 0]mxE /u mulrDr mulr1 opprD addrCA.
by rewrite mulfVK // subrr scale0r addr0.
Qed.

Lemma im_add_outer W b a :
  im_sub W (W + b *m a) <->
  [\/ b = 0, a = 0, ~~ (a <= W)%MS | exists2 v, W *m v = b & 1 + (a *m v) 0 0 != 0].
Proof.
split=> [nest | [-> | -> | na | [v <- nz]]].
- case: (boolP (a <= W)%MS) => [/submxP[c ea] | na]; last exact: Or43.
  have [-> | a0] := eqVneq a 0; first exact: Or42.
  have /matrix0Pn[i [j aj]] := a0; rewrite ord1 in aj.
  pose x : 'cV_n := (a 0 j)^-1 *: delta_mx j 0.
  have ax : (a *m x) 0 0 = 1 by rewrite -scalemxAr -colE !mxE mulVf.
  have [y] := nest x; rewrite mulmxDl -mulmxA mul_mx11; set t := _ 0 0 => ey.
  have t0 : t != 0.
    apply/eqP=> t0; move: ey; rewrite t0 scale0r addr0 => ey.
    by have /eqP := ax; rewrite ea -mulmxA ey mulmxA -ea -/t t0 eq_sym oner_eq0.
  apply: Or44; exists (t^-1 *: (x - y)).
    by rewrite -scalemxAr mulmxBr ey addrC addKr scalerA mulVf // scale1r.
  rewrite -scalemxAr mulmxBr mxE mxE ax [(- _ : 'M_1) 0 0]mxE -/t mulrBr mulr1 mulVf // addrC subrK.
  by rewrite invr_eq0.
- by move=> x; exists x; rewrite mul0mx addr0.
- by move=> x; exists x; rewrite mulmx0 addr0.
- exact: im_add_kernel.
- exact: im_add_image.
Qed.

End RankOne.

Section Nesting.

Variables (F : fieldType) (d_in d_out R : nat).
Implicit Types (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)).

(* LIN-4. The image of B_r is inside that of B_s for r <= s ... *)
Theorem im_colpre_nested B r s : (r <= s)%N -> im_sub (colpre B r) (colpre B s).
Proof. by move=> rs x; exists (pid_mx r *m x); rewrite (colpre_step _ rs) mulmxA. Qed.

(* LIN-4. ... and the row space of A_r inside that of A_s. *)
Theorem row_rowpre_nested A r s :
  (r <= s)%N -> (rowpre A r <= rowpre A s)%MS.
Proof. by move=> rs; rewrite (rowpre_step _ rs) submxMl. Qed.

(* LIN-4. The image of W_r is inside that of B_s for r <= s. *)
Theorem im_Wpre_sub_colpre B A r s :
  (r <= s)%N -> im_sub (Wpre B A r) (colpre B s).
Proof.
move=> rs x; exists (pid_mx r *m (rowpre A r *m x)).
by rewrite mulmxA -colpre_step // mulmxA.
Qed.

(* LIN-7. If A_r has full row rank, W_r and B_r have the same image. *)
Theorem im_Wpre_eq_colpre B A r :
  row_free (rowpre A r) -> im_eq (Wpre B A r) (colpre B r).
Proof.
move=> fA; split=> x; first by exists (rowpre A r *m x); rewrite mulmxA.
by exists (pinvmx (rowpre A r) *m x); rewrite /Wpre -mulmxA (mulmxA (rowpre A r)) mulmxVp // mul1mx.
Qed.

(* LIN-7. If A_s has full row rank, the image of W_r is inside that of W_s for r <= s. *)
Theorem im_Wpre_nested_free B A r s :
  (r <= s)%N -> row_free (rowpre A s) -> im_sub (Wpre B A r) (Wpre B A s).
Proof.
move=> rs fA x; have [y ey] := im_Wpre_sub_colpre B A rs x.
by have [z ez] := (im_Wpre_eq_colpre B fA).2 y; exists z; rewrite ey.
Qed.

Lemma rowpre_free_le A r s :
  (r <= s)%N -> row_free (rowpre A s) -> row_free (rowpre A r).
Proof.
move=> rs fA; rewrite /row_free (rowpre_step _ rs) mxrankMfree //.
by rewrite rank_pid_mx.
Qed.

(* LIN-8. If B_r has full column rank, W_r and A_r have the same row space. *)
Theorem row_Wpre_eq_rowpre B A r :
  row_free (colpre B r)^T -> (Wpre B A r :=: rowpre A r)%MS.
Proof.
by move=> fB; apply: eqmxMfull; rewrite /row_full -mxrank_tr.
Qed.

(* LIN-8. If B_s has full column rank, the row space of W_r is inside that of W_s for r <= s. *)
Theorem row_Wpre_nested_free B A r s :
  (r <= s)%N -> row_free (colpre B s)^T -> (Wpre B A r <= Wpre B A s)%MS.
Proof.
move=> rs fB; rewrite (row_Wpre_eq_rowpre A fB).
exact: submx_trans (submxMl _ _) (row_rowpre_nested _ rs).
Qed.

(* LIN-8. Under the same hypothesis the kernel of W_s is inside that of W_r. *)
Theorem ker_Wpre_nested_free B A r s :
  (r <= s)%N -> row_free (colpre B s)^T -> ker_sub (Wpre B A s) (Wpre B A r).
Proof.
move=> rs /row_freeP[L eL] x; rewrite -mulmxA => W0.
have As0 : rowpre A s *m x = 0.
  rewrite -[LHS]mul1mx -[1%:M]trmx1 -eL trmx_mul trmxK -mulmxA W0.
  by rewrite mulmx0.
by rewrite -mulmxA (rowpre_step _ rs) -mulmxA As0 !mulmx0.
Qed.

(* LIN-6. The exact condition under which Im(W_r) is inside Im(W_(r+1)), with no hypothesis:
   the next component is zero, or its row is outside the row space of W_r, or its column is in
   the image of W_r without undoing a direction of it. *)
Theorem im_Wpre_nested_exact B A r (h : (r < R)%N) (b := col (Ordinal h) B) (a := row (Ordinal h) A) :
  im_sub (Wpre B A r) (Wpre B A r.+1) <->
  [\/ b = 0, a = 0, ~~ (a <= Wpre B A r)%MS |
      exists2 v, Wpre B A r *m v = b & 1 + (a *m v) 0 0 != 0].
Proof. by rewrite (Wpre_succ B A h); exact: im_add_outer. Qed.

(* LIN-6. In terms of the factors: it suffices that the next row of A is zero or outside the
   span of the rows before it ... *)
Theorem im_Wpre_nested_suff B A r (h : (r < R)%N) :
  row (Ordinal h) A = 0 \/ ~~ (row (Ordinal h) A <= rowpre A r)%MS ->
  im_sub (Wpre B A r) (Wpre B A r.+1).
Proof.
move=> c; apply/(im_Wpre_nested_exact B A h); case: c => [-> | na]; first exact: Or42.
by apply: Or43; apply: contra na => aW; exact: submx_trans aW (submxMl _ _).
Qed.

Lemma col_notin_colpre B r (h : (r < R)%N) (w : 'cV_r) :
  row_free (colpre B r.+1)^T -> colpre B r *m w != col (Ordinal h) B.
Proof.
case/row_freeP=> L eL; apply/eqP.
have L1 : L^T *m colpre B r.+1 = 1%:M by rewrite -[RHS]trmx1 -eL trmx_mul trmxK.
have -> : col (Ordinal h) B = colpre B r.+1 *m delta_mx ord_max 0.
  by rewrite -colE (colpre_slice B h) col_colsub; congr (col _ B); exact: val_inj.
rewrite (colpre_step B (leqnSn r)) -mulmxA => /(congr1 (mulmx L^T)).
rewrite !(mulmxA L^T (colpre B r.+1)) L1 !mul1mx => /matrixP/(_ ord_max 0)/eqP.
by rewrite !mxE big1 ?eqxx 1?eq_sym ?oner_eq0 // => k _; rewrite mxE /= ltnn andbF mul0r.
Qed.

(* LIN-6. ... and this is necessary, if B_(r+1) has full column rank. *)
Theorem im_Wpre_nested_iff B A r (h : (r < R)%N) :
  row_free (colpre B r.+1)^T ->
  im_sub (Wpre B A r) (Wpre B A r.+1) <->
  row (Ordinal h) A = 0 \/ ~~ (row (Ordinal h) A <= rowpre A r)%MS.
Proof.
move=> fB; split; last exact: im_Wpre_nested_suff.
have nB w : colpre B r *m w = col (Ordinal h) B -> False.
  by move/eqP; rewrite (negPf (col_notin_colpre h w fB)).
have fBr : row_free (colpre B r)^T.
  by rewrite /row_free (colpre_step B (leqnSn r)) trmx_mul mxrankMfree // mxrank_tr rank_pid_mx.
case/(im_Wpre_nested_exact B A h)=> [b0 | -> | na | [v ev _]]; [|by left| |].
- by case: (nB 0); rewrite mulmx0.
- by right; rewrite -(row_Wpre_eq_rowpre A fBr).
- by case: (nB (rowpre A r *m v)); rewrite mulmxA.
Qed.

(* LIN-5. Once the rows of A_r span the input space (so r >= d_in), every further
   non-zero row breaks the inclusion. *)
Theorem im_Wpre_not_nested_full B A r (h : (r < R)%N) :
  row_free (colpre B r.+1)^T -> row_full (rowpre A r) -> row (Ordinal h) A != 0 ->
  ~ im_sub (Wpre B A r) (Wpre B A r.+1).
Proof.
move=> fB fA nz /(im_Wpre_nested_iff A h fB)[/eqP | ]; first by rewrite (negPf nz).
by rewrite submx_full.
Qed.

End Nesting.

Section Classes.

Variables (F : fieldType) (d_in d_out R : nat).
Implicit Types (W : 'M[F]_(d_out, d_in)).

(* LIN-9. The matrices of rank at most r are among those of rank at most r+1. *)
Theorem class_nested W r : (\rank W <= r)%N -> (\rank W <= r.+1)%N.
Proof. exact: leqW. Qed.

(* LIN-9. They are the products of a d_out x r and an r x d_in matrix ... *)
Theorem class_factored W r :
  (\rank W <= r)%N <-> exists (B : 'M_(d_out, r)) (A : 'M_(r, d_in)), W = B *m A.
Proof.
split=> [le | [B [A ->]]]; last exact: mulmx_max_rank.
exists (col_base W *m pid_mx (\rank W)), (pid_mx (\rank W) *m row_base W).
by rewrite -mulmxA (mulmxA (pid_mx _)) pid_mx_id // pid_mx_1 mul1mx mulmx_base.
Qed.

(* LIN-9. ... and the weights W_r of a layer with R components, for r <= R. *)
Theorem class_prefix W r :
  (r <= R)%N ->
  (\rank W <= r)%N <-> exists (B : 'M_(d_out, R)) (A : 'M_(R, d_in)), W = Wpre B A r.
Proof.
move=> rR; split=> [/class_factored[B [A ->]] | [B [A ->]]];
  last exact: rank_Wpre.
exists (B *m pid_mx r), (pid_mx r *m A).
rewrite /Wpre /colpre /rowpre -(mulmxA B) (mulmxA (pid_mx r) _ A).
by rewrite !pid_mx_id // pid_mx_1 mulmx1 mul1mx.
Qed.

(* LIN-10. The classes at r and r+1 differ exactly while r < min(d_in, d_out). *)
Theorem class_strict r :
  (exists W, (\rank W <= r.+1)%N && ~~ (\rank W <= r)%N) <-> (r < minn d_out d_in)%N.
Proof.
split=> [[W /andP[_]] | ].
  by rewrite -ltnNge leq_min => lt; rewrite !(leq_trans lt) ?rank_leq_row ?rank_leq_col.
rewrite leq_min => /andP[rm rn].
by exists (pid_mx r.+1); rewrite rank_pid_mx // leqnn -ltnNge ltnSn.
Qed.

End Classes.

Section Counterexample.

Variable F : fieldType.

Definition cexA : 'M[F]_(2, 2) := \matrix_(i, j) (j == 0)%:R.
Definition cexB : 'M[F]_(2, 2) := 1%:M.

(* LIN-5. Im(W_1) is not inside Im(W_2) for A = [1 0; 1 0] and B = I. *)
Theorem def2_false : ~ im_sub (Wpre cexB cexA 1) (Wpre cexB cexA 2).
Proof.
move=> /(_ (delta_mx 0 0))[y]; rewrite -colE Wpre_full mul1mx => /matrixP e.
have W1 i : Wpre cexB cexA 1 i 0 = (i == 0)%:R.
  rewrite Wpre_coef big_mkcond !big_ord_recl big_ord0 /= !addr0.
  by rewrite !mxE eqxx mulr1.
have W2 i : (cexA *m y) i 0 = y 0 0.
  by rewrite !mxE !big_ord_recl big_ord0 !mxE /= mul1r mul0r !addr0.
have e0 : (1 : F) = y 0 0 by rewrite -(W2 0) -(e 0 0) mxE W1.
have e1 : (0 : F) = y 0 0 by rewrite -(W2 1) -(e 1 0) mxE W1.
by have /eqP := e0; rewrite -e1 oner_eq0.
Qed.

End Counterexample.

(* LIN-5. Over the rationals, with B invertible. *)
Theorem def2_false_rat :
  exists (A : 'M[rat]_(2, 2)) (B : 'M[rat]_(2, 2)),
    B \in unitmx /\ ~ im_sub (Wpre B A 1) (Wpre B A 2).
Proof.
by exists (cexA _), (cexB _); split; [exact: unitmx1 | exact: def2_false].
Qed.

(* LIN-5. At every 0 < r < R of every layer with d_out > r. *)
Theorem def2_false_every_size (F : fieldType) (d_out d_in R r : nat) :
  (0 < r)%N -> (r < R)%N -> (r < d_out)%N -> (0 < d_in)%N ->
  exists (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)),
    ~ im_sub (Wpre B A r) (Wpre B A r.+1).
Proof.
move=> r0 rR rm; case: d_in => // d_in _.
pose A : 'M[F]_(R, d_in.+1) := \matrix_(i, j) (j == 0)%:R.
exists A, (pid_mx r.+1) => nest.
have fB : row_free (colpre (pid_mx r.+1 : 'M[F]_(d_out, R)) r.+1)^T.
  by rewrite /row_free mxrank_tr /colpre pid_mx_id // rank_pid_mx.
have rowA k : row k A = delta_mx 0 0.
  by apply/rowP=> j; rewrite !mxE eqxx.
case/(im_Wpre_nested_iff A rR fB): nest; rewrite rowA.
  by move/matrixP/(_ 0 0)/eqP; rewrite !mxE !eqxx oner_eq0.
case/negP; rewrite (rowpre_slice A (ltnW rR)).
by rewrite -(rowA (widen_ord (ltnW rR) (Ordinal r0))) -row_rowsub row_sub.
Qed.
