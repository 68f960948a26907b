From mathcomp Require Import all_ssreflect all_algebra complex.
From nsn Require Import definitions linear norms eckart_young.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* The spectral theorem and the singular value decomposition over any real    *)
(* closed field (SVD-4): a real eigenvalue from the algebraic closure, then   *)
(* one Householder reflection per dimension.                                  *)
(*                                                                            *)
(* spectral: S = V^T diag(d) V with V orthogonal          np.linalg.eigh(S)   *)
(* thin_svd: W = U diag(s) V^T, s > 0 and decreasing       np.linalg.svd(W)   *)
(******************************************************************************)

Section Spectral.

Variable F : rcfType.

Lemma sym_eigen n (S : 'M[F]_n.+1) : S^T = S ->
  exists (l : F) (v : 'rV[F]_n.+1), v != 0 /\ v *m S = l *: v.
Proof.
move=> symS; pose Sc : 'M[complex F]_n.+1 := map_mx (real_complex F) S.
have [|c] := (closed_rootP (char_poly Sc) _); first by rewrite size_char_poly.
rewrite -eigenvalue_root_char => /eigenvalueP[w ew nzw].
pose a : 'rV[F]_n.+1 := map_mx (@complex.Re F) w; pose b : 'rV[F]_n.+1 := map_mx (@complex.Im F) w.
have ea : a *m S = complex.Re c *: a - complex.Im c *: b.
  apply/rowP=> j; have /rowP/(_ j)/(congr1 (@complex.Re F)) := ew.
  rewrite !mxE raddf_sum /= => E.
  rewrite (eq_bigr (fun k => complex.Re (w 0 k * Sc k j))) => [|k _].
    by rewrite E; case: (c) (w 0 j) => [? ?] [? ?].
  by rewrite !mxE; case: (w 0 k) => x y /=; rewrite mulr0 subr0.
have eb : b *m S = complex.Re c *: b + complex.Im c *: a.
  apply/rowP=> j; have /rowP/(_ j)/(congr1 (@complex.Im F)) := ew.
  rewrite !mxE raddf_sum /= => E.
  rewrite (eq_bigr (fun k => complex.Im (w 0 k * Sc k j))) => [|k _].
    by rewrite E; case: (c) (w 0 j) => [? ?] [? ?] /=.
  by rewrite !mxE; case: (w 0 k) => x y /=; rewrite mulr0 add0r.
have sym (p q : 'rV[F]_n.+1) : frob (p *m S) q = frob p (q *m S).
  by rewrite /frob trmx_mul symS -mulmxA mxtrace_mulC mulmxA.
have nzab : sqn a + sqn b != 0.
  apply: contra nzw; rewrite paddr_eq0 ?sqn_ge0 // !sqn_eq0.
  move=> /andP[/eqP/rowP za /eqP/rowP zb]; apply/eqP/rowP=> j.
  have := za j; have := zb j; rewrite !mxE.
  by case: (w 0 j) => x y /= -> ->.
have im0 : complex.Im c = 0.
  have := sym b a; rewrite ea eb frobDl !frobZl -scaleNr frobDr !frobZr.
  move/addrI/eqP; rewrite mulNr -addr_eq0 -mulrDr mulf_eq0 (negPf nzab) orbF.
  by move/eqP.
move: ea eb; rewrite im0 !scale0r subr0 addr0 => ea eb.
case: (eqVneq a 0) => [a0 | na]; last by exists (complex.Re c), a.
exists (complex.Re c), b; split=> //; apply: contra nzab => /eqP ->.
by rewrite a0 !sqn0 addr0.
Qed.

Lemma householder n (v : 'rV[F]_n.+1) : sqn v = 1 ->
  exists H : 'M[F]_n.+1, [/\ H^T = H, H *m H = 1%:M & delta_mx 0 0 *m H = v].
Proof.
move=> v1; pose e : 'rV[F]_n.+1 := delta_mx 0 0; pose u := v - e.
case: (eqVneq u 0) => [/eqP | nu].
  rewrite subr_eq0 => /eqP ->; exists 1%:M.
  by rewrite trmx1 !mulmx1.
have nq : sqn u != 0 by rewrite sqn_eq0.
have uu : u *m u^T = (sqn u)%:M.
  by rewrite [LHS]mx11_scalar -trace_mx11 /sqn /frob mxtrace_mulC.
have e1 : sqn e = 1.
  rewrite sqnE big_ord1 (bigD1 0) //= big1 ?addr0 => [|j j0]; rewrite mxE ?eqxx ?expr1n //.
  by rewrite (negPf j0) andbF expr0n.
pose c := 2%:R / sqn u.
exists (1%:M - c *: (u^T *m u)); split.
- by rewrite linearB /= trmx1 linearZ /= trmx_mul trmxK.
- rewrite mulmxBr mulmx1 mulmxBl mul1mx -!scalemxAl -!scalemxAr.
  rewrite mulmxA -(mulmxA u^T u) uu mul_mx_scalar -!scalemxAl !scalerA.
  have -> : c * (c * sqn u) = c + c by rewrite {2}/c divfK // mulr_natr mulr2n.
  by rewrite scalerDl opprB addrK subrK.
pose f := frob e u.
have eu : e *m u^T = f%:M.
  rewrite [LHS]mx11_scalar -trace_mx11 /f /frob; congr (_%:M).
  by rewrite mxtrace_mulC -mxtrace_tr trmx_mul trmxK mxtrace_mulC.
have fu : sqn u = - (f *+ 2).
  have := sqnD e u; rewrite (_ : e + u = v); last by rewrite /u addrC subrK.
  rewrite v1 e1 -addrA -[X in X = _]addr0 => /addrI/esym/eqP.
  by rewrite addrC addr_eq0 => /eqP.
rewrite mulmxBr mulmx1 -scalemxAr mulmxA eu mul_scalar_mx scalerA.
have -> : c * f = - 1.
  by rewrite /c mulrAC -[2%:R * f]mulrC mulr_natr -[f *+ 2]opprK -fu mulNr divff.
by rewrite scaleN1r opprK /u addrC subrK.
Qed.

(* SVD-4. A symmetric matrix over a real closed field has an orthonormal eigenbasis. *)
Theorem spectral n (S : 'M[F]_n) : S^T = S ->
  exists (V : 'M[F]_n) (d : 'rV[F]_n), V *m V^T = 1%:M /\ S = V^T *m diag_mx d *m V.
Proof.
elim: n S => [|n IH] S symS.
  by exists 1%:M, 0; split; apply/matrixP=> [[]].
have [l [v0 [nv0 ev0]]] := sym_eigen symS.
pose v := (nrm v0)^-1 *: v0.
have nn : nrm v0 != 0 by rewrite nrm_eq0.
have v1 : sqn v = 1 by rewrite sqnZ -nrm_sqr -exprMn mulVf // expr1n.
have ev : v *m S = l *: v by rewrite -scalemxAl ev0 !scalerA mulrC.
have [H [sH iH eH]] := householder v1.
have [T defT] : exists T : 'M[F]_(1 + n), T = H *m S *m H by exists (H *m S *m H).
have symT : T^T = T by rewrite defT !trmx_mul sH symS mulmxA.
have vH : v *m H = delta_mx 0 0 by rewrite -eH -mulmxA iH mulmx1.
have rowT : (delta_mx 0 0 : 'rV_(1 + n)) *m T = l *: delta_mx 0 0.
  by rewrite defT !mulmxA eH ev -scalemxAl vH.
have T0 j : T 0 j = l * (j == 0)%:R.
  have /rowP/(_ j) := rowT; rewrite -rowE !mxE eqxx /= => ->.
  by [].
have ur0 : @ursubmx _ 1 n 1 n T = 0.
  apply/rowP=> j; rewrite !mxE (_ : lshift n 0 = 0); last exact: val_inj.
  by rewrite T0 mulr0.
have dl0 : @dlsubmx _ 1 n 1 n T = 0.
  by rewrite -[T in LHS]symT -trmx_ursub ur0 trmx0.
have ul0 : @ulsubmx _ 1 n 1 n T = l%:M.
  rewrite [LHS]mx11_scalar !mxE (_ : lshift n 0 = 0); last exact: val_inj.
  by rewrite T0 mulr1.
have symT' : (@drsubmx _ 1 n 1 n T)^T = drsubmx T.
  by rewrite trmx_drsub symT.
have [V' [d' [oV' eT']]] := IH _ symT'.
have eT : T = block_mx l%:M 0 0 (V'^T *m diag_mx d' *m V').
  by rewrite -[LHS](@submxK _ 1 n 1 n) ur0 dl0 ul0 eT'.
pose K : 'M[F]_(1 + n) := block_mx 1%:M 0 0 V'.
have oK : K *m K^T = 1%:M.
  rewrite /K tr_block_mx !trmx0 trmx1 mulmx_block !(mulmx0, mul0mx, mulmx1).
  by rewrite !addr0 !add0r oV' -scalar_mx_block.
have eD : K^T *m diag_mx (row_mx l%:M d') *m K = T.
  rewrite eT /K tr_block_mx !trmx0 trmx1 diag_mx_row !mulmx_block.
  rewrite !(mulmx0, mul0mx, mulmx1, mul1mx, addr0, add0r); congr block_mx.
  by apply/matrixP=> i j; rewrite !ord1 !mxE eqxx.
exists (K *m H), (row_mx l%:M d'); split.
  by rewrite trmx_mul sH mulmxA -(mulmxA K) iH mulmx1.
transitivity (H *m (K^T *m diag_mx (row_mx l%:M d') *m K) *m H).
  by rewrite eD defT !mulmxA iH mul1mx -mulmxA iH mulmx1.
by rewrite trmx_mul sH !mulmxA.
Qed.

Lemma entryT a b c (X : 'M[F]_(a, c)) (Y : 'M[F]_(b, c)) i j :
  (row i X *m (row j Y)^T) 0 0 = (X *m Y^T) i j.
Proof. by rewrite !mxE; apply: eq_bigr => k _; rewrite !mxE. Qed.

(* SVD-4. Every matrix has a thin SVD with positive singular values in decreasing order. *)
Theorem thin_svd m n (W : 'M[F]_(m, n)) :
  exists (k : nat) (U : 'M[F]_(m, k)) (V : 'M[F]_(n, k)) (s : 'rV[F]_k),
    [/\ U^T *m U = 1%:M, V^T *m V = 1%:M, (forall i, 0 < s 0 i),
        (forall i j : 'I_k, (i <= j)%N -> s 0 j ^+ 2 <= s 0 i ^+ 2)
      & W = U *m diag_mx s *m V^T].
Proof.
have symS : (W^T *m W)^T = W^T *m W by rewrite trmx_mul trmxK.
have [Q [d [oQ eS]]] := spectral symS.
have oQ' : Q^T *m Q = 1%:M by apply: mulmx1C.
have eD : Q *m (W^T *m W) *m Q^T = diag_mx d.
  by rewrite eS !mulmxA oQ mul1mx -mulmxA oQ mulmx1.
pose q i := W *m (row i Q)^T.
have qq i j : frob (q i) (q j) = d 0 i *+ (i == j).
  have <- : (Q *m (W^T *m W) *m Q^T) i j = d 0 i *+ (i == j) by rewrite eD mxE.
  rewrite /frob /q trmx_mul trmxK trace_mx11.
  transitivity ((row i (Q *m W^T *m W) *m (row j Q)^T) 0 0).
    by rewrite !row_mul !mulmxA.
  by rewrite entryT !mulmxA.
have dE i : d 0 i = sqn (q i) by rewrite /sqn qq eqxx.
have d_ge0 i : 0 <= d 0 i by rewrite dE sqn_ge0.
have colrow k (M : 'M[F]_(m, k)) (N : 'M[F]_(k, n)) :
    M *m N = \sum_i col i M *m row i N.
  by rewrite -Wpre_full Wpre_sum; apply: eq_bigl => i; rewrite ltn_ord.
pose leD i j := d 0 j <= d 0 i.
pose t := sort leD [seq i <- index_enum [finType of 'I_n] | d 0 i != 0].
pose f := tnth (in_tuple t).
have f_nz j : d 0 (f j) != 0.
  by have := mem_tnth j (in_tuple t); rewrite mem_sort mem_filter => /andP[].
have f_inj : injective f.
  apply/tuple_uniqP; rewrite /= sort_uniq filter_uniq //.
  by rewrite /index_enum -enumT enum_uniq.
have f_gt0 j : 0 < d 0 (f j) by rewrite lt_def f_nz d_ge0.
pose s : 'rV[F]_(size t) := \row_j Num.sqrt (d 0 (f j)).
have s_gt0 j : 0 < s 0 j by rewrite mxE sqrtr_gt0.
have s_sqr j : s 0 j ^+ 2 = d 0 (f j) by rewrite mxE sqr_sqrtr.
pose V : 'M[F]_(n, size t) := \matrix_(p, j) Q (f j) p.
pose U : 'M[F]_(m, size t) := \matrix_(p, j) ((s 0 j)^-1 * q (f j) p 0).
exists (size t), U, V, s; split.
- apply/matrixP=> i j; rewrite mxE [RHS]mxE.
  rewrite (eq_bigr (fun p => (s 0 i)^-1 * (s 0 j)^-1 * (q (f i) p 0 * q (f j) p 0))); last first.
    by move=> p _; rewrite [U^T _ _]mxE ![U _ _]mxE mulrACA.
  rewrite -mulr_sumr (_ : \sum_p _ = frob (q (f i)) (q (f j))); last first.
    by rewrite frobE; apply: eq_bigr => p _; rewrite big_ord1.
  rewrite qq (inj_eq f_inj); case: eqP => [-> | _]; last by rewrite mulr0.
  by rewrite -s_sqr expr2 mulrACA !mulVf ?mul1r // gt_eqF.
- apply/matrixP=> i j; rewrite mxE [RHS]mxE.
  have := congr1 (fun M : 'M[F]_n => M (f i) (f j)) oQ.
  rewrite mxE [RHS]mxE (inj_eq f_inj) => <-.
  by apply: eq_bigr => p _; rewrite !mxE.
- exact: s_gt0.
- move=> i j ij; rewrite !s_sqr /f !(tnth_nth (f i)) /=.
  have tr : transitive leD by move=> y x z xy yz; exact: le_trans yz xy.
  have rf : reflexive leD by move=> x; exact: lexx.
  have tot : total leD by move=> x y; exact: le_total.
  by apply: (sorted_leq_nth tr rf (f i) (sort_sorted tot _)) ij; rewrite inE ltn_ord.
have eW : W = \sum_i q i *m row i Q.
  rewrite -[LHS]mulmx1 -oQ' mulmxA colrow; apply: eq_bigr => i _; congr (_ *m _).
  by rewrite colE -mulmxA -colE /q tr_row.
rewrite [LHS]eW (bigID (fun i => d 0 i != 0)) /= [X in _ + X]big1 ?addr0; last first.
  move=> i; rewrite negbK dE sqn_eq0 => /eqP ->; exact: mul0mx.
rewrite -big_filter (perm_big t) /=; last by rewrite /t perm_sym perm_sort.
rewrite big_tnth colrow; apply: eq_bigr => j _; rewrite -/(f j); congr (_ *m _).
  apply/colP=> p; rewrite [RHS]mxE mul_mx_diag [RHS]mxE [U _ _]mxE mulrAC mulVf ?mul1r //.
  by rewrite gt_eqF.
by apply/rowP=> p; rewrite !mxE.
Qed.

End Spectral.
