From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions linear.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory.
Local Open Scope ring_scope.

(******************************************************************************)
(* The transformations of (A, B) that leave every W_r unchanged (GAU-1 to     *)
(* GAU-4; the balanced gauge, GAU-5, needs norms and is in energy.v).         *)
(*                                                                            *)
(* A gauge is an invertible G : 'M_R acting as A -> G A, B -> B G^-1; that of *)
(* balance(A, B) is diagonal.                                                 *)
(*                                                                            *)
(* respects_cut G r == no entry of G couples a component i < r with one       *)
(*                     j >= r                                                 *)
(******************************************************************************)

Section Gauge.

Variables (F : fieldType) (d_in d_out R : nat).
Implicit Types (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)) (G : 'M[F]_R).

Definition respects_cut G r :=
  forall i j : 'I_R, (i < r)%N != (j < r)%N -> G i j = 0.

Lemma comm_pidP G r :
  (pid_mx r : 'M_R) *m G = G *m (pid_mx r : 'M_R) <-> respects_cut G r.
Proof.
split=> [/matrixP e i j | h].
  have := e i j; rewrite pid_mulE mul_pidE.
  by case: (i < r)%N (j < r)%N => [] [] //= + _; rewrite ?(mul0r, mulr0, mul1r, mulr1).
apply/matrixP=> i j; rewrite pid_mulE mul_pidE mulrC.
have := h i j; case: (i < r)%N (j < r)%N => [] [] //= -> //; by rewrite !mul0r.
Qed.

Lemma Wpre_gauge B A G r :
  Wpre (B *m invmx G) (G *m A) r = B *m (invmx G *m pid_mx r *m G) *m A.
Proof. by rewrite WpreE !mulmxA. Qed.

(* GAU-3. A transformation that couples no component below r with one above leaves W_r as it is. *)
Theorem gauge_cut B A G r :
  G \in unitmx -> respects_cut G r ->
  Wpre (B *m invmx G) (G *m A) r = Wpre B A r.
Proof.
by move=> uG /comm_pidP e; rewrite Wpre_gauge -(mulmxA (invmx G)) e mulKmx // WpreE.
Qed.

(* GAU-3. With A and B of full rank, no other does. *)
Theorem gauge_cut_iff B A G r :
  G \in unitmx -> row_free A -> row_free B^T ->
  Wpre (B *m invmx G) (G *m A) r = Wpre B A r <-> respects_cut G r.
Proof.
move=> uG fA fB; split; last exact: gauge_cut.
rewrite Wpre_gauge WpreE => /(row_free_inj fA) e; apply/comm_pidP.
have {e} : invmx G *m pid_mx r *m G = pid_mx r.
  apply: trmx_inj; apply: (row_free_inj fB).
  by rewrite /= -!trmx_mul e.
by move=> e; rewrite -{2}e -!mulmxA mulKVmx.
Qed.

(* GAU-3. If only the ranks in S are used: exactly the transformations that are block-diagonal
   between the ranks in S. *)
Theorem gauge_set_iff B A G (S : pred nat) :
  G \in unitmx -> row_free A -> row_free B^T ->
  (forall r, S r -> Wpre (B *m invmx G) (G *m A) r = Wpre B A r) <->
  (forall i j : 'I_R, (exists2 r, S r & (i < r)%N != (j < r)%N) -> G i j = 0).
Proof.
move=> uG fA fB; split=> [h i j [r Sr] | h r Sr].
  by move: i j; apply/(gauge_cut_iff r uG fA fB); exact: h.
by apply: gauge_cut => // i j ij; apply: h; exists r.
Qed.

Lemma diag_cutP G : is_diag_mx G <-> (forall r, respects_cut G r).
Proof.
split=> [/is_diag_mxP h r i j ij | h].
  by apply: h; apply: contraNneq ij => ->.
apply/is_diag_mxP=> i j ij; apply: (h (maxn i j)).
by rewrite !leq_max !ltnn orbF /=; case: ltngtP ij.
Qed.

(* GAU-1. Scaling row i of A by d_i and column i of B by 1/d_i changes no W_r. *)
Theorem gauge_diag B A G r :
  G \in unitmx -> is_diag_mx G ->
  Wpre (B *m invmx G) (G *m A) r = Wpre B A r.
Proof. by move=> uG /diag_cutP h; apply: gauge_cut. Qed.

(* GAU-2. With A and B of full rank, only diagonal transformations change no W_r. *)
Theorem gauge_iff_diag B A G :
  G \in unitmx -> row_free A -> row_free B^T ->
  (forall r, Wpre (B *m invmx G) (G *m A) r = Wpre B A r) <-> is_diag_mx G.
Proof.
move=> uG fA fB; split=> [h | dG r]; last exact: gauge_diag.
by apply/diag_cutP=> r; apply/(gauge_cut_iff r uG fA fB).
Qed.

Lemma delta_sandwich (M : 'M[F]_R) i0 i j j0 :
  ((delta_mx i0 i : 'M_(d_out, R)) *m M *m (delta_mx j j0 : 'M_(R, d_in))) i0 j0 = M i j.
Proof.
rewrite mxE (bigD1 j) //= big1 ?addr0 => [|k kj]; last first.
  by rewrite [delta_mx _ _ _ _]mxE (negPf kj) mulr0.
rewrite [delta_mx _ _ _ _]mxE !eqxx mulr1 mxE (bigD1 i) //= big1 ?addr0 => [|k ki].
  by rewrite mxE !eqxx mul1r.
by rewrite mxE (negPf ki) andbF mul0r.
Qed.

(* GAU-2. A transformation that changes no W_r of any layer is diagonal. *)
Theorem gauge_every_layer_iff_diag G :
  (0 < d_out)%N -> (0 < d_in)%N -> G \in unitmx ->
  (forall B A r, Wpre (B *m invmx G) (G *m A) r = Wpre B A r) <-> is_diag_mx G.
Proof.
move=> m0 n0 uG; split=> [h | dG B A r]; last exact: gauge_diag.
apply/diag_cutP=> r; apply/comm_pidP.
have {}h : invmx G *m pid_mx r *m G = pid_mx r.
  apply/matrixP=> i j.
  have /matrixP/(_ (Ordinal m0) (Ordinal n0)) :=
     h (delta_mx (Ordinal m0) i) (delta_mx j (Ordinal n0)) r.
  by rewrite Wpre_gauge WpreE !delta_sandwich.
by rewrite -{2}h -!mulmxA mulKVmx.
Qed.

(* GAU-4. If no component is zero, the weights W_r determine the factors up to that scaling. *)
Theorem factors_identifiable (B B' : 'M[F]_(d_out, R)) (A A' : 'M[F]_(R, d_in)) :
  (forall r, Wpre B A r = Wpre B' A' r) ->
  (forall i, col i B *m row i A != 0) ->
  exists2 d : 'rV[F]_R, (forall i, d 0 i != 0) &
    A' = diag_mx d *m A /\ B' = B *m invmx (diag_mx d).
Proof.
move=> eW nz.
have e1 i : col i B *m row i A = col i B' *m row i A'.
  have := eW i.+1; rewrite !(Wpre_succ _ _ (ltn_ord i)) eW.
  by move/addrI; rewrite (_ : Ordinal _ = i) //; apply: val_inj.
have loc i : exists d : F, [/\ d != 0, row i A' = d *: row i A
                              & col i B' = d^-1 *: col i B].
  have /matrix0Pn[p [q]] := nz i.
  have E p' q' : B p' i * A i q' = B' p' i * A' i q'.
    by have /matrixP/(_ p' q') := e1 i; rewrite !mxE !big_ord1 !mxE.
  rewrite mxE big_ord1 !mxE => npq.
  have [nB nA] : B p i != 0 /\ A i q != 0.
    by apply/andP; rewrite -negb_or -mulf_eq0.
  have [nB' nA'] : B' p i != 0 /\ A' i q != 0.
    by apply/andP; rewrite -negb_or -mulf_eq0 -E.
  exists (B p i / B' p i); split; first by rewrite mulf_neq0 ?invr_eq0.
    by apply/rowP=> q'; rewrite !mxE mulrAC E mulrAC mulfV ?mul1r.
  apply/colP=> p'; rewrite !mxE invf_div mulrAC; apply: (canRL (mulfK nB)).
  apply: (mulIf nA'); rewrite mulrAC -E [RHS]mulrAC -E -!mulrA mulrCA.
  by rewrite [RHS]mulrCA; congr (_ * _); exact: mulrC.
have /fin_all_exists[d dP] := loc.
pose D : 'M[F]_R := diag_mx (\row_i d i).
have uD : D \in unitmx.
  rewrite unitmxE det_diag unitfE; apply/prodf_neq0 => i _.
  by rewrite mxE; case: (dP i).
exists (\row_i d i) => [i|]; first by rewrite mxE; case: (dP i).
split.
  apply/matrixP=> i j; rewrite mul_diag_mx !mxE.
  by have [_ /rowP/(_ j) + _] := dP i; rewrite !mxE.
rewrite -[LHS](mulmxK uD); congr (_ *m _).
apply/matrixP=> p i; rewrite mul_mx_diag !mxE.
have [nd _ /colP/(_ p)] := dP i; rewrite !mxE => ->.
by rewrite mulrC mulrA mulfV ?mul1r.
Qed.

End Gauge.
