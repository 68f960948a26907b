From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions linear norms energy.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* Proposition 1 for a deep network with a rank for each layer (ENG-5): ours. *)
(* Change the ranks one layer at a time. A change inside a layer is bounded   *)
(* by its energies, as in one layer, and reaches the output multiplied by the *)
(* Lipschitz constants of the layers after it.                                *)
(*                                                                            *)
(*          V i == the values between layers i - 1 and i                      *)
(*      run f k x == the result of the stages f 0, ..., f k.-1 on x           *)
(*  amplified gap lip k == sum over i < k of gap i times the product of lip j *)
(*                   over i < j < k                       interpolation_bound *)
(* stage r i == act i after nested layer i at rank r i                        *)
(*                                    the chain of nsn_ref/nets at ranks r    *)
(* between r s B A == the sum of norm(b_i) norm(a_i) over the components      *)
(*                   between the ranks r and s, in either order               *)
(******************************************************************************)

Section Stages.

Variables (F : realFieldType) (V : nat -> Type) (dist : forall i, V i -> V i -> F).
Hypothesis dist_triangle : forall i (x y z : V i), dist x z <= dist x y + dist y z.
Hypothesis dist_refl : forall i (x : V i), dist x x = 0.

Fixpoint run (f : forall i, V i -> V i.+1) k (x : V 0) : V k :=
  if k is k'.+1 then f k' (run f k' x) else x.

Definition amplified (gap lip : nat -> F) k : F := \sum_(i < k) gap i * \prod_(i.+1 <= j < k) lip j.

Lemma amplifiedS gap lip k : amplified gap lip k.+1 = lip k * amplified gap lip k + gap k.
Proof.
rewrite /amplified big_ord_recr /= big_geq // mulr1 mulr_sumr; congr (_ + _).
by apply: eq_bigr => i _; rewrite big_nat_recr //= mulrA mulrC.
Qed.

(* ENG-5. Any stages f and g: where they differ by gap i on the values that f computes, and g
   is Lipschitz, the results differ by at most the amplified gaps. *)
Theorem run_gap (f g : forall i, V i -> V i.+1) (gap lip : nat -> F) k (x : V 0) :
  (forall i, 0 <= lip i) -> (forall i (y z : V i), dist (g i y) (g i z) <= lip i * dist y z) ->
  (forall i, (i < k)%N -> dist (f i (run f i x)) (g i (run f i x)) <= gap i) ->
  dist (run f k x) (run g k x) <= amplified gap lip k.
Proof.
move=> lip0 lipg; elim: k => [|k IH] hgap /=; first by rewrite dist_refl /amplified big_ord0.
apply: le_trans (dist_triangle _ (g k (run f k x)) _) _; rewrite amplifiedS addrC ler_add ?hgap //.
apply: le_trans (lipg _ _ _) _; rewrite ler_wpmul2l // IH // => i ik; exact: hgap (ltnW _).
Qed.

End Stages.

Section DeepNetwork.

Variables (F : rcfType) (n : nat) (d R : nat -> nat).
Variables (A : forall i, 'M[F]_(R i, d i)) (B : forall i, 'M[F]_(d i.+1, R i)) (b : forall i, 'rV[F]_(d i.+1)).
Variables (act : forall i, 'M[F]_(n, d i.+1) -> 'M[F]_(n, d i.+1)) (L : nat -> F).
Hypothesis L_ge0 : forall i, 0 <= L i.
Hypothesis act_lip : forall i y z, nrm (@act i y - @act i z) <= L i * nrm (y - z).

Definition stage (r : nat -> nat) i (h : 'M[F]_(n, d i)) := @act i (nested_linear h (A i) (B i) (b i) (r i)).
Definition net r k (x : 'M[F]_(n, d 0)) := run (stage r) k x.

Definition between d_in d_out q (r s : nat) (Bi : 'M[F]_(d_out, q)) (Ai : 'M[F]_(q, d_in)) : F :=
  \sum_(i < q | (minn r s <= i < maxn r s)%N) nrm (col i Bi) * nrm (row i Ai).

Lemma between_bound d_in d_out q (h : 'M[F]_(n, d_in)) (Ai : 'M[F]_(q, d_in)) (Bi : 'M[F]_(d_out, q)) bi r s :
  nrm (nested_linear h Ai Bi bi s - nested_linear h Ai Bi bi r) <= between r s Bi Ai * nrm h.
Proof.
rewrite /between; case: (leqP r s) => [rs | /ltnW sr]; first exact: energy_bound.
by rewrite -nrmN opprB; exact: energy_bound.
Qed.

(* ENG-5. The outputs of a deep network at the ranks s and r. The values h_i are those at the
   ranks s; c i bounds the spectral norm of W_(r i) of layer i. *)
Theorem deep_energy_bound (r s : nat -> nat) (c : nat -> F) k x :
  (forall i, 0 <= c i) -> (forall i (h : 'M_(n, d i)), nrm (h *m (Wpre (B i) (A i) (r i))^T) <= c i * nrm h) ->
  nrm (net s k x - net r k x) <=
  amplified (fun i => L i * (between (r i) (s i) (B i) (A i) * nrm (net s i x))) (fun i => L i * c i) k.
Proof.
move=> c0 hc; apply: (@run_gap _ (fun i => 'M[F]_(n, d i)) (fun i y z => nrm (y - z))).
- by move=> i y z t; rewrite -[y](subrK z) -addrA [in leRHS]subrK; exact: nrm_triangle.
- by move=> i y; rewrite subrr nrm0.
- by move=> i; rewrite mulr_ge0.
- move=> i y z; apply: le_trans (act_lip _ _) _; rewrite -mulrA ler_wpmul2l //.
  by rewrite !nested_linearE opprD addrACA subrr addr0 -mulmxBl.
by move=> i _; apply: le_trans (act_lip _ _) _; rewrite ler_wpmul2l // between_bound.
Qed.

Lemma frobenius_lip i r (h : 'M[F]_(n, d i)) :
  nrm (h *m (Wpre (B i) (A i) r)^T) <= nrm (Wpre (B i) (A i) r) * nrm h.
Proof. by apply: le_trans (nrmM _ _) _; rewrite nrm_tr mulrC. Qed.

(* ENG-5. Proposition 1 for the deep network: the change of the mean loss, over finitely many
   inputs x j with weights p j, for losses that are Lc-Lipschitz in the output. *)
Theorem deep_prop1 (K : finType) (p : K -> F) (x : K -> 'M[F]_(n, d 0)) k (ell : K -> 'M[F]_(n, d k) -> F) (Lc : F)
    (r s : nat -> nat) :
  (forall j, 0 <= p j) -> 0 <= Lc -> (forall j y z, `|ell j y - ell j z| <= Lc * nrm (y - z)) ->
  `|\sum_j p j * ell j (net s k (x j)) - \sum_j p j * ell j (net r k (x j))| <=
  Lc * \sum_j p j * amplified (fun i => L i * (between (r i) (s i) (B i) (A i) * nrm (net s i (x j))))
                              (fun i => L i * nrm (Wpre (B i) (A i) (r i))) k.
Proof.
move=> p0 L0 hell; rewrite -sumrB mulr_sumr; apply: le_trans (ler_norm_sum _ _ _) _; apply: ler_sum => j _.
rewrite -mulrBr normrM (ger0_norm (p0 j)) mulrCA ler_wpmul2l //; apply: le_trans (hell _ _ _) _.
rewrite ler_wpmul2l //; apply: deep_energy_bound => [i | i h]; [exact: nrm_ge0 | exact: frobenius_lip].
Qed.

End DeepNetwork.
